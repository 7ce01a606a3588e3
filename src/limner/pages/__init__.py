"""Pages and figures for people: templates that every report fills, plots, and pictures put into a page."""
