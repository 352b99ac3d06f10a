"""Names for people: response codes (DE39) in plain words, and what controls are called."""

from __future__ import annotations

from functools import cache
from typing import Final

from zhiwei.simulate.telling import Line
from zhiwei.words import Sentences, load_sentences
from zhiwei.words.sentences import MissingSentenceError

_MEANINGS: Final[dict[str, Line]] = {
    "00": Line("批准", "approved"),
    "01": Line("请联系发卡方：正在向持卡人核实", "the cardholder is being asked"),
    "03": Line("商户类别已关闭", "closed for this kind of merchant"),
    "14": Line("无此卡号", "no such card"),
    "22": Line("与先前的交易不符", "does not fit the earlier transaction"),
    "25": Line("未找到原交易", "the original was not found"),
    "30": Line("报文格式错误", "the message cannot be read"),
    "45": Line("请使用芯片", "use the chip"),
    "57": Line("该终端不得进行此交易", "not permitted at this terminal"),
    "59": Line("需要核实持卡人", "the cardholder must be verified"),
    "61": Line("超出金额限制", "over an amount limit"),
    "62": Line("受限制的卡", "restricted by a lock or a stop"),
    "65": Line("超出次数限制", "over a count limit"),
    "91": Line("发卡方暂时无法应答", "the issuer cannot answer in time"),
    "94": Line("重复交易但内容不同", "same identity, other content"),
    "96": Line("系统故障", "system malfunction"),
}


def meaning_of(code: str) -> Line:
    """What a response code says."""
    return _MEANINGS.get(code, Line(f"应答码 {code}", f"response code {code}"))


def control_name(control: str) -> Line:
    """What a control is called; its own name where the words have none."""
    try:
        names = _sentences().service(control)
    except MissingSentenceError:
        return Line(control, control)
    return Line(names["zh"], names["en"])


@cache
def _sentences() -> Sentences:
    return load_sentences()
