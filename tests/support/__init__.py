"""What tests share: known posteriors, small models, and how far draws are from the truth."""

from support.counting import counting as counting
from support.errors import LIMIT as LIMIT
from support.errors import errors as errors
from support.models import apart as apart
from support.models import nested_rows as nested_rows
from support.models import plain as plain
from support.models import small as small
from support.posteriors import BATCH as BATCH
from support.posteriors import COVARIANCE as COVARIANCE
from support.posteriors import LOCATION as LOCATION
from support.posteriors import Known as Known
from support.posteriors import gaussian_log_density as gaussian_log_density
from support.posteriors import known as known
from support.posteriors import linear as linear
from support.posteriors import rows as rows
