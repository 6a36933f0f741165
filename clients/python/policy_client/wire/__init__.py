"""Between values and the contract's messages, a module a service: requests' parts written, replies read and checked."""
