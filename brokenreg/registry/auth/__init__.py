"""Who may do what: users, the token service, and what stands before the endpoints.

The Docker token protocol, as CNCF distribution documents it ("Token Authentication Specification", "OAuth2
Token Authentication"), and HTTP Basic (RFC 7617).
"""
