"""One exchange in full: `view.py` shows one of the panes that `panes.py` lists; or a transfer as a whole."""
