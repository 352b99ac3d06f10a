"""Safety locks (账户安全锁): region, overseas and night.

The three look only at offline transactions (线下交易): ATM withdrawal, ATM transfer-out, POS
purchase and new POS pre-authorization. A request whose channel nobody told could be one, and is
looked at as well.
"""
