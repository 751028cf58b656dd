package sentinel
