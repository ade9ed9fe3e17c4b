"""What happens when many partners are onboarded and the network has a bad day: real agents, a verdict."""
