"""The kinds of odd images: each one is read with libraries that are not ours."""
