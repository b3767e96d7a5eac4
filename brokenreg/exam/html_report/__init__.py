"""The report of runs for people: one HTML file without scripts that loads nothing."""

from brokenreg.exam.html_report.page import html_report

__all__ = ["html_report"]
