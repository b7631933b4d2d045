"""The one kind of error that is meant for the user; anything else that escapes is a bug of ours."""


class UserError(Exception):
    """Something the user can put right: a file, an option, a message.

    The text is one line that names the thing, what was expected and what was found.  Commands print it and exit
    with code 2; the node logs it (throttled) and goes on with the next frame.
    """
