"""What deploy/ says is held against the service: by linters where there are good ones, else by the promise."""
