"""The look that every system of the demonstration shares: layout, form macros, stylesheet."""
