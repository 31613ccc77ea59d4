"""What a fit returns, whatever the method behind it."""
