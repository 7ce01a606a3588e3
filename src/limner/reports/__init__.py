"""Reports: page templates, figures and plots."""
