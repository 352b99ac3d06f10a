"""`zhiwei serve --workers N`: several processes behind one pair of ports, on PostgreSQL.

A supervisor opens both ports, starts the workers, and starts one again that died. It decides
nothing and reads no message, so there is little in it that could fail.

How connections come to the workers:

- The supervisor accepts the lines of the ISO 8583 port and hands each to the worker that has the
  fewest (`handing`). They are few and stay for days: with `SO_REUSEPORT` a hash of the addresses
  would choose, and of four lines three may meet one worker for as long as they live; on a shared
  listening socket whoever wakes first would take several. Once a line is handed over, its bytes go
  to the worker without a detour, and only that worker's death ends it.
- The HTTP port's listening socket is inherited, and whichever worker has time accepts. Calls are
  short, so evenness matters less; and what waits in the one queue is not lost with a worker, as it
  would be with one queue for each (`SO_REUSEPORT`).

Both sockets belong to the supervisor, so a port that the system chose (0) is the same for all, and
a worker that is started again needs no port.
"""
