"""The two faces: a page for cardholders (`cardholder`) and a console for operators (`console`).

Both are served by the HTTP door's program and speak to the same `House` as the API does: what a
page can do, an API call can do, and no rule lives in a template.
"""
