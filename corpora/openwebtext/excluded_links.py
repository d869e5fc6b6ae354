"""Where links lead to no text of their own: domains, with all of their subdomains, and endings of
paths. Composed for this package, by kind."""

_DOMAINS = {
    "pictures": """
        imgur.com flickr.com flic.kr photobucket.com tinypic.com imageshack.us imageshack.com
        postimg.org postimg.cc postimage.org ibb.co gyazo.com minus.com min.us giphy.com gfycat.com
        redgifs.com instagram.com instagr.am pinterest.com 500px.com deviantart.com sta.sh
        twitpic.com yfrog.com lockerz.com imgflip.com memegenerator.net quickmeme.com qkme.me
        livememe.com makeameme.org prntscr.com puu.sh sli.mg smugmug.com unsplash.com vidble.com
        eroshare.com
    """,
    "films and streams": """
        youtube.com youtu.be youtube-nocookie.com vimeo.com dailymotion.com dai.ly liveleak.com
        metacafe.com twitch.tv justin.tv livestream.com ustream.tv veoh.com break.com vine.co
        streamable.com bitchute.com tiktok.com netflix.com hulu.com video.google.com coub.com
        worldstarhiphop.com
    """,
    "sounds": """
        soundcloud.com spotify.com bandcamp.com mixcloud.com grooveshark.com last.fm deezer.com
        tindeck.com vocaroo.com pandora.com rdio.com tidal.com music.apple.com itunes.apple.com
    """,
    "posts and profiles": """
        twitter.com t.co x.com facebook.com fb.com fb.me linkedin.com lnkd.in snapchat.com vk.com
        plus.google.com myspace.com ask.fm mastodon.social threads.net bsky.app tinder.com
        okcupid.com
    """,
    "reddit itself": """
        reddit.com redd.it reddit.app.link redditmedia.com redditstatic.com redditgifts.com
    """,
    "conversations": """
        discord.gg discord.com discordapp.com t.me telegram.me whatsapp.com wa.me kik.com
        steamcommunity.com 4chan.org 4chan.com boards.4channel.org
    """,
    "programs and their code": """
        github.com gist.github.com gitlab.com bitbucket.org sourceforge.net pastebin.com
        hastebin.com jsfiddle.net codepen.io play.google.com apps.apple.com store.steampowered.com
        chrome.google.com addons.mozilla.org
    """,
    "files": """
        dropbox.com drive.google.com docs.google.com onedrive.live.com 1drv.ms mega.nz mega.co.nz
        mediafire.com rapidshare.com megaupload.com 4shared.com zippyshare.com scribd.com
        slideshare.net thepiratebay.org kickass.to
    """,
    "the encyclopedia, a corpus of its own": """
        wikipedia.org wikimedia.org wiktionary.org wikipedia.com
    """,
    "shops, funds and auctions": """
        amazon.com amazon.co.uk amazon.ca amazon.de amzn.to amzn.com ebay.com ebay.co.uk etsy.com
        craigslist.org alibaba.com aliexpress.com walmart.com newegg.com redbubble.com zazzle.com
        cafepress.com teespring.com kickstarter.com indiegogo.com gofundme.com patreon.com
        paypal.com humblebundle.com
    """,
    "maps, polls and searches": """
        maps.google.com maps.app.goo.gl strawpoll.me strawpoll.com surveymonkey.com polldaddy.com
        forms.gle lmgtfy.com images.google.com
    """,
    "addresses that only lead on": """
        bit.ly tinyurl.com goo.gl ow.ly is.gd adf.ly j.mp dlvr.it buff.ly ift.tt tiny.cc shorturl.at
        linktr.ee
    """,
}

_EXTENSIONS = """
    jpg jpeg jpe png gif gifv webp bmp tif tiff svg ico heic psd ai eps raw
    mp4 m4v mkv webm avi mov wmv flv mpg mpeg 3gp ogv ts m3u8 swf
    mp3 m4a ogg oga opus flac wav aac wma mid midi m3u
    pdf ps djvu doc docx dot odt rtf xls xlsx ods csv tsv ppt pptx pps odp key epub mobi azw azw3
    cbr cbz
    zip rar 7z tar gz tgz bz2 xz zst z jar iso dmg img torrent
    exe msi apk ipa deb rpm app bin dll bat sh crx xpi
    json xml rss atom rdf yaml yml sql db css js ttf otf woff woff2 kml kmz ics vcf blend stl obj
"""

EXCLUDED_DOMAINS = frozenset(" ".join(_DOMAINS.values()).split())
"""Domains whose pages are pictures, films, posts, programs or shops; each stands for its subdomains
too."""

EXCLUDED_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""Endings of paths that lead to no page, without the dot, in lower case."""

BUILTIN = "builtin"
"""The word that stands for the list of this file in a setting."""


def chosen(names: tuple[str, ...], builtin: frozenset[str]) -> frozenset[str]:
    """The names of a setting in lower case, with those of `builtin` where it says so."""
    own = frozenset(name.lower().strip(".") for name in names if name != BUILTIN)
    return own | builtin if BUILTIN in names else own
