"""The services of the contract, a module each: every call once, with its words, types, checks, request and reply.

These are the blocking clients. The asyncio ones, in ``_asyncio``, are made from them by ``make proto``; so each module
holds one class, whose methods end in one of the driver's verbs: ``_ask`` (one reply), ``_check`` (of one question),
``_write`` (one reply, with an idempotency key), ``_list`` (all pages, begun again if the list changes), ``_items``
(page by page) and ``_stream``.
"""
