"""What the bot's process serves over HTTP, if a public address is set."""
