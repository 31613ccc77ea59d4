"""Figures from arrays and draws."""
