"""Models of the literature, written so that the code reads like the architecture's figure."""

from .gpt import GPT as GPT
from .gpt import gpt as gpt
from .lenet import lenet as lenet
from .resnet import BasicBlock as BasicBlock
from .resnet import resnet18 as resnet18
from .toy import toy_classifier as toy_classifier
from .vgg import vgg as vgg
from .vgg import vgg11 as vgg11
from .vgg import vgg11_bn as vgg11_bn
from .vgg import vgg13 as vgg13
from .vgg import vgg13_bn as vgg13_bn
from .vgg import vgg16 as vgg16
from .vgg import vgg16_bn as vgg16_bn
from .vgg import vgg19 as vgg19
from .vgg import vgg19_bn as vgg19_bn
