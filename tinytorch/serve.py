# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.serve: what the lessons define under PyTorch's name for it."""

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from .capstone import Ask, Batcher, Cache, Loan, Refused, Shelf, Text, Writer, generate, stream
    from .speculation import speculate
    from .quick import QuickWriter
    from .wire import Port
    from .repository import Answerer, Author, Scribe, Repository, keep, opened_package
    from .watching import Metrics
    from .service import Server, serve

__all__ = [
    "Ask", "Batcher", "Cache", "Loan", "Refused", "Shelf", "Text", "Writer", "generate", "stream",
    "speculate", "QuickWriter", "Port", "Answerer", "Author", "Scribe", "Repository", "keep",
    "opened_package", "Metrics", "Server", "serve",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
