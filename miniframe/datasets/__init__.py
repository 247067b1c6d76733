"""Data to learn from: points and drawn images made from a seed, text, MNIST and CIFAR-10, and ways to vary images."""

from .augment import augmented as augmented
from .augment import random_crop as random_crop
from .augment import random_flip as random_flip
from .augment import random_shift as random_shift
from .cifar import CIFAR10_NAMES as CIFAR10_NAMES
from .cifar import cifar10 as cifar10
from .download import data_folder as data_folder
from .mnist import mnist as mnist
from .mnist import read_idx as read_idx
from .shapes import SHAPE_NAMES as SHAPE_NAMES
from .shapes import shapes as shapes
from .tables import Table as Table
from .tables import read_csv as read_csv
from .tables import train_test_split as train_test_split
from .text import docs_text as docs_text
from .text import hold_out as hold_out
from .text import random_windows as random_windows
from .text import read_text as read_text
from .text import windows as windows
from .text_tokens import BytePairTokenizer as BytePairTokenizer
from .text_tokens import CharTokenizer as CharTokenizer
from .toys import disk as disk
from .toys import gate as gate
from .toys import moons as moons
from .toys import spirals as spirals
from .toys import xor as xor
