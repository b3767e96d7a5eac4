"""The gate holds, steps, edits, resumes and aborts responses; breakpoints decide what to hold."""
