"""What kind of thing each character is, as of Unicode 14.0.0, frozen so that every interpreter
measures alike."""

import base64
import functools
import zlib

import numpy as np
from numpy.typing import NDArray

UNICODE = "14.0.0"

LETTER, NUMBER, MARK, SPACE, UNSPACED, UPPER, END_MARK, CLOSER = (1 << bit for bit in range(8))
"""Flags. UNSPACED: a letter of a script that sets no spaces between words. UPPER: a capital of
Latin-1, Greek or Cyrillic. END_MARK: ends a sentence. CLOSER: a quotation mark or bracket that may
follow an end mark."""

_KINDS = (0, LETTER, NUMBER, MARK)

_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

_UNSPACED = (
    *(
        (0x0E00, 0x0F00),
        (0x1000, 0x10A0),
        (0x1780, 0x1800),
        (0x1950, 0x19E0),
        (0x1A20, 0x1AB0),
        (0x2E80, 0x2FE0),
        (0x3005, 0x3008),
        (0x3021, 0x302A),
    ),
    *(
        (0x3031, 0x3130),
        (0x31A0, 0x3200),
        (0x3400, 0x4DC0),
        (0x4E00, 0xA4D0),
        (0xA9E0, 0xAA00),
        (0xAA60, 0xAAE0),
        (0xF900, 0xFB00),
        (0xFF66, 0xFFA0),
    ),
    *((0x1AFF0, 0x1B300), (0x20000, 0x40000)),
)
"""Thai, Lao, Myanmar, Khmer and Tai; Han, kana, bopomofo, Yi."""

_UPPER = ((0x41, 0x5B), (0xC0, 0xD7), (0xD8, 0xDF), (0x386, 0x390), (0x391, 0x3AC), (0x400, 0x430))

_END_MARKS = ".!?\u2026\u203c\u2047\u2048\u2049\u3002\uff01\uff0e\uff1f\uff61\u0964\u0965\u061f\u06d4\u055e\u0589\u1362\u1367\u17d4\u104b"

_CLOSERS = "\"')]}\u00bb\u2019\u201d\u201c\u203a\u300d\u300f\uff02\uff09"

_RUNS = (
    "c-mD}Z)hCH73a;pxtYD))$VHdbbHdC?oN05b7Q$WRZ^@V*_LV<Teu2|OzNujwKlB^g1E&{wN^l>4$DLV3oK$&sYuX(1vcc01y&NbRVxwuL)tjhV1We*!C(~(O)33ULqGKG$!QzrZgywq&HFdM_j{Y5"
    "f(d`(_rQY~awE#I21_`NH*4(9-gv-~4}BPkqb42XK1UNdzJm7|RuI!m9G5_He-$$C0}9k>h|D?L`Duq&fm6!X#C!yKS~h4px|%X2AK+r@Cvul{@LqKZS~Z(XA;(<a$}OHaK5p6jy|b9i=WfCe@J-kO"
    "i=W`>f-V&fT9}oZ9K#g3=}19pb!qX8ur)MEK$G>7qmULR?L9Fq98zGyCP7046hWYLQ?y&yOo8l)#7R>QEwm)>*GNsCH{ky)?d?}B1=e#z$m`n#$E0DRV`!8Q&Cm?f=(H1tg)XH-^uExY$dZK;4u+>m"
    "pBv~%(aX?6rV%+=sO}f`^zTXd<Zh^6>vlu`Rzcs};hrfP$?{8>q~)-2mfYtuWeB^0lAiOG)VsGpXlXB%L$wT{PjNg;b3tgWT*m3GK`QCY06(q!qjZRdt!Hro?31X+JMeADiziTllU(^p*Ri;zrA@b|"
    "iwot-B|z?RSpi&+p(82(G_L|pm*BtagSZ<m=9#qeqsHLC4wFe^&6P)S!mBW&CL0X9`4OvqSTFWaaC-3pTm*yLTu9}sAq$1_cUchE-vYtCCDt~LU3OQSnv(JMHLxfAuU&;w!rq2`_;X3Js+(tiaTgLB"
    "a4c)6q1K``bwE>V&{tf5lNn{0Y5`<(PyuNUSa`}2NugQXD@QM~9VwF(6ir!jJsi_=8>+Z6F-6!)+C3h<eH@8$S?^IwdOn6XVThcS1rmz;d#4=SFC8y#bNmFfx<_^Ygb&zv9=WgI%3Tw_V`=&5m#KRU"
    "0q+;3d<wrhE&|ov!x}C6!<Gg@LXBoq+H`5+Q-%(e5I$o@ZCe>OVQ>c2g(f^ik7YPC6DxlLGi?1fzs&A{T$je6(q7&G7x&?`zQmM%6`JKrM3$LXMZ=jvVG2i30)<iE_5h0dM{uG|`6rSF;a8~hIaxYT"
    "oHX1G=<B6`<D#JAguuSMDYAq~zhrRhBf1$&)8jf9{ER90C#0#jB`J-`YGCB<i~jvc4nz5c&sec!--9c2?2ayPMiwDejC))Zum?jthPAmCnT3jeyv*bd{2Ds#BLhcfSR7aIn^j6`-(^NsyEHFDCr;o9"
    "ojE99oP#eS#rL52R~U-jjfgp%H10va__1Av+WafgY}8wVgf}G#+*z!<0nae>2W<Mi0~v~aKOU@>_Vedu_L-I+Ys;QV;!VKjt1L-8vIbPvT$W^0Nj6SrS~h{Kdv#;=_QWE440cTWhWss19qXR!5S}Nc"
    "Ws8>6lQEpEnSm^x*X_E29cUYqO(R~@@ae`)w#q(*`_O$Kg8Bt;Gip(LBQ&TR+6Qb>@yu99?Q6sC4S2Qj<x<|-hQsZz3r**FcO5zc(LEk0-&%k^R5sUnW*&s(d20*$9NR@*5g_f+_F)|F^2IEx)+B{j"
    "2sWV0Q@;EEjE4FiqlHxE#dVoB67S+RoNzp43-iJjoFvSUe|!Vdvh}p1&%qWPGkCjNB#JmdB>D)>$;0;7?bH*#28XXk%Iu|Lmgp@@>d!V109=BIUQ~-LD_2NKn!FRQ@qO<=n!6d1;T?D2h{2DqvSrzf"
    "*C2;E-v2YYv+rWxbrw3g1Pw;mP|{pvh?3|_84|Qkgx0kY_X+3y-+C9G28)qDM1~fkw?;2T`Zuz7-&m=AGS7CMU>cRb!DyP2iS{i>=bfU$Mts#9*^HOj_pV1O%ohA}2;80-M)8Vvz4!4SA+ytR1DcnA"
    "$((Ag=C#{k4mp`M<I3?$#OpDdgMy*Yz74+v`Tc(p<2Ph-GJV1Q3tE4}(OZ!pE#o%B6-IrB$ewy;CtXAeFHt#Da#DDnZiV1)r0_vZj^j8r+OPhz@=q{he-8GaAtQRlw-b1HvuS!(r16+chw(p*u7i<I"
    "NkYMFY)TBRfvXl<Q>2%Q1FuD8OZqx2ur#;Tr~co8x_Rv__8#D&xu}EZNQe`<3nb3Nes1qEnfd(tmm^$-32>@%1w2Z07{{YmYG1f~N-bu}@5g3fw+z9vsC?@-^xk_4|334~p6jUm3Lbv(8~9Lc{-fhR"
    ">l9&;"
)
"""Lengths of runs of one general category (letters L, numbers N, marks M, others), times 4, plus
the category: varints, zlib, base85."""


@functools.cache
def flags() -> NDArray[np.uint8]:
    """(0x110000,) the flags of every code point. Not to be written to."""
    table = np.zeros(0x110000, np.uint8)
    at = value = shift = 0
    for byte in zlib.decompress(base64.b85decode(_RUNS)):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            table[at : at + value // 4] = _KINDS[value % 4]
            at, value, shift = at + value // 4, 0, 0
    for begin, end in _UNSPACED:
        table[begin:end][table[begin:end] & LETTER > 0] |= UNSPACED
    for begin, end in _UPPER:
        table[begin:end][table[begin:end] & LETTER > 0] |= UPPER
    for characters, flag in ((_SPACES, SPACE), (_END_MARKS, END_MARK), (_CLOSERS, CLOSER)):
        table[[ord(character) for character in characters]] |= flag
    table.flags.writeable = False
    return table
