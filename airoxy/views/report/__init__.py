"""The month's report in every form, and the charts of pages."""
