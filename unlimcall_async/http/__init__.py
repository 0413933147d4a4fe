"""HTTP: the way of one call from a client method to the API, and back.

Who owns what:

- `Caller` (caller.py) holds the options of one client, or of one view of it. All resources call through it.
- `Pool` (pool.py) is shared by a client and its views. It opens the transport at the first call. It keeps a cancel scope for each
  call under way, and ends those calls when the client is closed. It owns the `ServerClock` (server_clock.py).
- `exchange` (exchange.py) is one call with all its attempts. It owns the current `Attempt`.
- `Transport` and `Attempt` (transport.py) own the aiohttp session and the connection slots, and one sending of a request.
- `Limiter` (limiter.py) is the queue of one endpoint, and owns its `TokenBucket` (bucket.py).

The way of one call:

1. A resource calls `Caller.fetch`, which builds a `Request` (messages.py) for an `Endpoint` (endpoints.py).
2. `exchange` enters a scope of the `Pool`, makes an `Attempt`, and waits until the `Limiter` grants a token and a slot is free.
3. `Attempt.send` sends the request, and returns a `RawResponse`, or an error if there is none. `Attempt.sent` says what may have
   left this machine.
4. `failure_of` (answers.py) turns a response with an error status into an error. `Caller.fetch` decodes the body of any other.
5. `judge` (outcome.py) decides from the endpoint, `sent` and the error: is the outcome unknown, and may the request be sent again?
6. `delay_before_retry` (retry.py) says when. `exchange` waits and goes back to step 2, or raises the error.

Read in this order: endpoints, outcome, exchange; then retry, answers, transport; then bucket, limiter, pool, caller.

`endpoints`, `messages`, `server_clock`, `answers`, `outcome`, `retry` and `bucket` are pure: they do no I/O, and take time as an
argument. The seam between them and the transport is `(status, headers, body)`. Only `transport` imports aiohttp, at the first call.
"""
