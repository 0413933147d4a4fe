"""The SDK inside other programs' frameworks. Each module needs the extra of its name."""
