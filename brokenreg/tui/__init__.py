"""The panel: a running brokenreg, live in the terminal. No layer below imports Textual.

- `app.py` is the screen: header, tabs, the area of the chosen tab, the keys at the bottom.
- `areas.py` has the table of tabs, `commands.py` that of commands. `bindings.py`, `keys.py` and `help.py` are
  made from them.
- `tabs.py` has what the areas of tabs have in common. Each tab has a folder with an `area.py`.
- `dialogues.py` has what all dialogues have in common, and those that several tabs use.
- `listing.py`, `lines.py` and `scrolling.py` show what scrolls; `text.py` makes text from clients safe.
"""
