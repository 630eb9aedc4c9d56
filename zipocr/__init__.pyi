from zipocr.api import Reader as Reader
from zipocr.api import Reading as Reading
from zipocr.api import draw as draw
from zipocr.api import evaluate as evaluate
from zipocr.api import load_results as load_results
from zipocr.api import read as read
from zipocr.api import scan as scan
from zipocr.errors import ZipocrError as ZipocrError
from zipocr.types import Place as Place
from zipocr.types import Reason as Reason
from zipocr.types import Status as Status
from zipocr.types import Trace as Trace

__version__: str
__all__: list[str]
