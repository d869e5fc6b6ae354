"""The words that the templates of `corpora.wikipedia.templates` show: months, languages, units of
measure, ranges.

The units are those of {{convert}} on the English Wikipedia, a row for each code: its name, its
plural and its symbol.
"""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

LANGUAGES = dict(
    item.split(" ", 1)
    for item in """
    af Afrikaans;akk Akkadian;am Amharic;ang Old English;ar Arabic;arc Aramaic;
    arz Egyptian Arabic;ast Asturian;az Azerbaijani;ba Bashkir;bar Bavarian;be Belarusian;
    bg Bulgarian;bn Bengali;bo Tibetan;br Breton;bs Bosnian;ca Catalan;ce Chechen;cel Celtic;
    chr Cherokee;co Corsican;cop Coptic;cs Czech;cu Church Slavonic;cy Welsh;da Danish;
    de German;el Greek;en English;eo Esperanto;es Spanish;et Estonian;eu Basque;fa Persian;
    fi Finnish;fil Filipino;fo Faroese;fr French;frm Middle French;fro Old French;
    fy West Frisian;ga Irish;gd Scottish Gaelic;gl Galician;gmq North Germanic;
    goh Old High German;got Gothic;grc Ancient Greek;gsw Swiss German;gu Gujarati;gv Manx;
    ha Hausa;haw Hawaiian;he Hebrew;hi Hindi;hit Hittite;hr Croatian;ht Haitian Creole;
    hu Hungarian;hy Armenian;ia Interlingua;id Indonesian;is Icelandic;it Italian;iu Inuktitut;
    ja Japanese;jv Javanese;ka Georgian;kk Kazakh;km Khmer;kn Kannada;ko Korean;ku Kurdish;
    kw Cornish;ky Kyrgyz;la Latin;lb Luxembourgish;lmo Lombard;ln Lingala;lo Lao;lt Lithuanian;
    ltg Latgalian;lv Latvian;mg Malagasy;mi Māori;mk Macedonian;ml Malayalam;mn Mongolian;
    mr Marathi;ms Malay;mt Maltese;my Burmese;nah Nahuatl;nap Neapolitan;nds Low German;
    ne Nepali;nl Dutch;nn Norwegian Nynorsk;nb Norwegian Bokmål;no Norwegian;non Old Norse;
    nv Navajo;oc Occitan;or Odia;os Ossetian;ota Ottoman Turkish;pa Punjabi;pi Pali;pl Polish;
    ps Pashto;pt Portuguese;qu Quechua;rm Romansh;ro Romanian;rom Romani;ru Russian;rus Russian;
    sa Sanskrit;sc Sardinian;scn Sicilian;sco Scots;sd Sindhi;se Northern Sami;
    sh Serbo-Croatian;si Sinhala;sk Slovak;sl Slovene;sm Samoan;so Somali;sq Albanian;
    sr Serbian;su Sundanese;sv Swedish;sw Swahili;syr Syriac;ta Tamil;te Telugu;tg Tajik;
    th Thai;tk Turkmen;tl Tagalog;to Tongan;tr Turkish;tt Tatar;ug Uyghur;uk Ukrainian;ur Urdu;
    uz Uzbek;vec Venetian;vi Vietnamese;wa Walloon;wo Wolof;xh Xhosa;yi Yiddish;yo Yoruba;
    zh Chinese;zu Zulu
    """.replace("\n    ", "")
    .strip()
    .split(";")
)
"""The English name of a language by its code, for labels such as "French: "."""

# code name plural symbol, with _ for a space
_UNITS = """
    mi mile miles mi;km kilometre kilometres km;m metre metres m;cm centimetre centimetres cm;
    mm millimetre millimetres mm;nm nanometre nanometres nm;um micrometre micrometres μm;
    ft foot feet ft;foot foot feet ft;in inch inches in;yd yard yards yd;
    nmi nautical_mile nautical_miles nmi;ch chain chains ch;fathom fathom fathoms fathom;
    AU astronomical_unit astronomical_units au;ly light-year light-years ly;
    pc parsec parsecs pc;sqmi square_mile square_miles sq_mi;mi2 square_mile square_miles sq_mi;
    km2 square_kilometre square_kilometres km2;m2 square_metre square_metres m2;
    cm2 square_centimetre square_centimetres cm2;sqft square_foot square_feet sq_ft;
    ft2 square_foot square_feet sq_ft;sqyd square_yard square_yards sq_yd;
    sqin square_inch square_inches sq_in;acre acre acres acre;acres acre acres acre;
    ha hectare hectares ha;kg kilogram kilograms kg;g gram grams g;mg milligram milligrams mg;
    t tonne tonnes t;lb pound pounds lb;lbs pound pounds lb;oz ounce ounces oz;
    st stone stone st;LT long_ton long_tons long_tons;ST short_ton short_tons short_tons;
    ton short_ton short_tons short_tons;tonne tonne tonnes t;L litre litres L;l litre litres L;
    ml millilitre millilitres mL;mL millilitre millilitres mL;usgal US_gallon US_gallons US_gal;
    USgal US_gallon US_gallons US_gal;impgal imperial_gallon imperial_gallons imp_gal;
    cuft cubic_foot cubic_feet cu_ft;ft3 cubic_foot cubic_feet cu_ft;
    cuin cubic_inch cubic_inches cu_in;cuyd cubic_yard cubic_yards cu_yd;
    cumi cubic_mile cubic_miles cu_mi;m3 cubic_metre cubic_metres m3;
    km3 cubic_kilometre cubic_kilometres km3;cm3 cubic_centimetre cubic_centimetres cm3;
    cc cubic_centimetre cubic_centimetres cc;oilbbl barrel barrels bbl;
    impbu imperial_bushel imperial_bushels imp_bu;usbu US_bushel US_bushels US_bu;
    acre.ft acre-foot acre-feet acre⋅ft;acre·ft acre-foot acre-feet acre⋅ft;
    mph mile_per_hour miles_per_hour mph;mi/h mile_per_hour miles_per_hour mph;
    km/h kilometre_per_hour kilometres_per_hour km/h;
    kph kilometre_per_hour kilometres_per_hour km/h;m/s metre_per_second metres_per_second m/s;
    ft/s foot_per_second feet_per_second ft/s;kn knot knots kn;
    C degree_Celsius degrees_Celsius °C;°C degree_Celsius degrees_Celsius °C;
    F degree_Fahrenheit degrees_Fahrenheit °F;°F degree_Fahrenheit degrees_Fahrenheit °F;
    K kelvin kelvins K;hp horsepower horsepower hp;bhp brake_horsepower brake_horsepower bhp;
    PS metric_horsepower metric_horsepower PS;W watt watts W;kW kilowatt kilowatts kW;
    MW megawatt megawatts MW;GW gigawatt gigawatts GW;J joule joules J;
    kJ kilojoule kilojoules kJ;kcal kilocalorie kilocalories kcal;
    kWh kilowatt-hour kilowatt-hours kWh;psi pound_per_square_inch pounds_per_square_inch psi;
    kPa kilopascal kilopascals kPa;Pa pascal pascals Pa;MPa megapascal megapascals MPa;
    bar bar bars bar;mbar millibar millibars mbar;hPa hectopascal hectopascals hPa;
    atm atmosphere atmospheres atm;N newton newtons N;kN kilonewton kilonewtons kN;
    lbf pound-force pounds-force lbf;lbft pound-foot pound-feet lb⋅ft;
    lb.ft pound-foot pound-feet lb⋅ft;lb·ft pound-foot pound-feet lb⋅ft;
    Nm newton-metre newton-metres N⋅m;N.m newton-metre newton-metres N⋅m;
    PD/sqmi inhabitant_per_square_mile inhabitants_per_square_mile /sq_mi;
    /sqmi per_square_mile per_square_mile /sq_mi;
    PD/km2 inhabitant_per_square_kilometre inhabitants_per_square_kilometre /km2;
    /km2 per_square_kilometre per_square_kilometre /km2;
    mpgus mile_per_gallon miles_per_gallon mpg;
    mpgimp mile_per_imperial_gallon miles_per_imperial_gallon mpg;
    L/100km litre_per_100_km litres_per_100_km L/100km;
    cuft/s cubic_foot_per_second cubic_feet_per_second cu_ft/s;
    m3/s cubic_metre_per_second cubic_metres_per_second m3/s;
    g/cm3 gram_per_cubic_centimetre grams_per_cubic_centimetre g/cm3;
    kg/m3 kilogram_per_cubic_metre kilograms_per_cubic_metre kg/m3;
    furlong furlong furlongs furlong;hand hand hands hh;GHz gigahertz gigahertz GHz;
    MHz megahertz megahertz MHz;kHz kilohertz kilohertz kHz;Hz hertz hertz Hz;
    carat carat carats carat;ozt troy_ounce troy_ounces ozt;lk link links lk;rd rod rods rd;
    mi/s mile_per_second miles_per_second mi/s;
    km/s kilometre_per_second kilometres_per_second km/s;
    lb/ft pound_per_foot pounds_per_foot lb/ft;kg/m kilogram_per_metre kilograms_per_metre kg/m;
    league league leagues league;oilbbl/d barrel_per_day barrels_per_day bbl/d;
    Moilbbl million_barrels million_barrels million_bbl;
    Goilbbl billion_barrels billion_barrels billion_bbl;
    Tcuft trillion_cubic_feet trillion_cubic_feet trillion_cu_ft;
    e9cuft billion_cubic_feet billion_cubic_feet billion_cu_ft;
    C-change degree_Celsius degrees_Celsius °C;F-change degree_Fahrenheit degrees_Fahrenheit °F
"""

UNIT_NAMES: dict[str, tuple[str, str, str]] = {}
"""(name, plural, symbol) of a unit by its code."""

for _row in _UNITS.replace("\n", "").split(";"):
    _code, _name, _plural, _symbol = (word.replace("_", " ") for word in _row.split())
    UNIT_NAMES[_code] = (_name, _plural, _symbol)

SCALES = {"e3": "thousand", "e6": "million", "e9": "billion", "e12": "trillion"}

RANGES = {
    "-": "–",
    "–": "–",
    "to": " to ",
    "to(-)": " to ",
    "and": " and ",
    "and(-)": " and ",
    "or": " or ",
    "x": " by ",
    "by": " by ",
    "×": " by ",
    "*": " by ",
    "xx": " by ",
    "+/-": " ± ",
    "±": " ± ",
    "&plusmn;": " ± ",
    "&ndash;": "–",
    "+": " + ",
    ",": ", ",
}
"""What stands between the two numbers of a range, by the word of the template."""
