from brokenreg.wire.connection import Connection


class HTTP1(Connection):
    pass
