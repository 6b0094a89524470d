"""Look into an object along a dotted path, so that a table row can say what a message must hold."""


def read(thing: object, path: str) -> object:
    """What `path` leads to: attributes by name, elements by index or key."""
    for step in path.split("."):
        if step.isdigit():
            thing = thing[int(step)]
        elif hasattr(thing, step):
            thing = getattr(thing, step)
        else:
            thing = thing[step]
    return thing
