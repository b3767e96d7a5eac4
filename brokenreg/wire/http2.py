from brokenreg.wire.connection import Connection


class HTTP2(Connection):
    pass
