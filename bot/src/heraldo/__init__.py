"""The bot: Telegram in and out, the command line and the servers around it."""
