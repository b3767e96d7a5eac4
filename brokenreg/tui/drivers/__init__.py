"""The terminals of a panel: the one in which brokenreg runs, and one that is attached over the network."""
