"""HTTP: the way of one call from a client method to the API, and back.

Who owns what:

- `Caller` (caller.py) holds the options of one client, or of one view of it. All resources call through it.
- `Pool` (pool.py) is shared by a client and its views. It opens the transport at the first call. It keeps a cancel scope for each
  call under way, and ends those calls when the client is closed. It owns the `ServerClock` (server_clock.py).
- `exchange` (exchange.py) is one call with all its attempts. It owns the current `Attempt`.
- `Trace` (observer.py) is what one call shows of itself. Its `Reporter` is shared by the calls of a client.
- `Pull` (pull.py) is what the calls of one stream share.
- `Transport` and `Attempt` (transport.py) own the aiohttp session and the connection slots, and one sending of a request. The
  `Network` (network.py) says through which proxy (proxies.py), and with which certificates.
- `Limiter` (limiter.py) is one endpoint's limit. It owns the `Turns` (turns.py) of those that wait, and the `TokenBucket`
  (bucket.py) with its `Pace` (pace.py).

The way of one call:

1. A resource calls `Caller.fetch`, which builds a `Request` (messages.py) for an `Endpoint` (endpoints.py).
2. `exchange` enters a scope of the `Pool`, and waits until the `Limiter` grants a token and a slot is free. Then it makes an
   `Attempt`. A call of a stream (`Caller.pull`) decides only now what it asks.
3. `Attempt.send` sends the request, and returns a `RawResponse`, or else an error in the words of causes.py.
   `Attempt.sent` says what may have left this machine.
4. `failure_of` (answers.py) turns a response with an error status into an error, with advice (advice.py). `Caller.fetch` decodes
   the body of any other.
5. `judge` (outcome.py) decides from the endpoint, `sent` and the error: is the outcome unknown, and may the request be sent again?
6. `delay_before_retry`, or `delay_after_429`, says when (retry.py). `exchange` waits and goes back to step 2, or raises the
   error.

Read in this order: endpoints, outcome, exchange; then retry, answers, transport; then pace, bucket, turns, limiter, pool, pull,
observer, caller, raw.

`endpoints`, `messages`, `proxies`, `network`, `causes`, `advice`, `server_clock`, `answers`, `outcome`, `retry`, `pace` and
`bucket` are pure: they do no I/O, and take time as an argument. The seam between them and the transport is
`(status, headers, body)`. Only `transport` imports aiohttp, at the first call.
"""
