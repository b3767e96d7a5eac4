"""What the documentation is built with: reference pages from the code, and the site's hooks."""
