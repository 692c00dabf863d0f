"""Types of values that many sections have; config.py checks them."""

from typing import Annotated, Literal

Share = Annotated[float, 0, 1]
Count = Annotated[int, 0, None]
Positive = Annotated[int, 1, None]
Seed = Annotated[int, 0, 2**32 - 1]
Language = Literal["zh", "en"]
Writer = Literal["models/teacher.json", "models/base.json", "models/label", "models/chat"]
"""A model by the path that a stage depends on: a pin, or the folder of a trained adapter."""
Executor = Literal["processes", "ray"]
Preset = Literal["wudao", "wanjuan", "skypile", "mnbvc", "mnbvc_qa"]
PrivateAction = Literal["drop", "mask", "keep"]
PRIVATE_KINDS = ("邮箱", "身份证号", "护照号", "银行卡号", "热线", "电话", "车牌号", "IP地址", "账号", "地址")
"""Private data that kun finds itself; also what the masks say."""
