"""HTTP code that several layers need: dates and authorities."""
