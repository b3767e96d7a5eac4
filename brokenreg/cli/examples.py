"""The examples of `brokenreg --help`, which are also those of `serve` and `tui`."""

EXAMPLES = """
\b
Examples:
  brokenreg serve               serve on 127.0.0.1:8080, with a readable log
  brokenreg serve --headless    print JSON lines, for CI
  brokenreg serve --listen 0.0.0.0:5000 --tls self-signed --control off
  brokenreg tui                 serve with the panel
  brokenreg attach              open the panel of a running registry
  brokenreg faults              list all faults
\b
Then, in another terminal:
  docker pull 127.0.0.1:8080/broken/random:layers-3_size-1024
  docker pull 127.0.0.1:8080/broken/error:404
"""
