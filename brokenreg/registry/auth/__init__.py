"""Authentication and authorization: users, tokens, the token service, and the check of each request.

HTTP Basic (RFC 7617), and the Docker token protocol, as CNCF distribution documents it ("Token Authentication
Specification", "OAuth2 Token Authentication").
"""
