"""A request that breaks a rule, told by field."""


class Invalid(ValueError):  # noqa: N818 - named for what the request is
    """The request breaks at least one rule; `violations` are field and sentence.

    A field is a path such as `contentMessage.suggestions[0].reply.text`, empty
    for the body as a whole. Sentences never repeat what the request said.
    """

    def __init__(self, field: str, message: str, *more: tuple[str, str]) -> None:
        self.violations = ((field, message), *more)
        super().__init__("; ".join(": ".join(filter(None, v)) for v in self.violations))

    @property
    def field(self) -> str:
        return self.violations[0][0]

    @property
    def message(self) -> str:
        return self.violations[0][1]
