"""English words and names in which a doubled letter makes another word: "rapping" is not "raping"."""

from __future__ import annotations

_WORDS = """
add adds all ally anna annal annals annas anne app apps ass asses balled baller balling barred barring bass basses
batted batter beech been beer bees beet beetle beets bell bellow bidden bidding bill billed bitter bitting bleed boob
boobs boogie boogy boon boons boot booth boots bosses brass breed buss bussed busses butt butts call canned canning
cannon cannons capped capper caress cell choose coffer comma commas coo cooed cool coon coons coop cooper coops coot
coots copped copper coppers copping corral creed cross cutter cutters cutting dell dessert desserts dimmed dimmer dinner
dinners discuss doll dolled donna donned dotted dotting droop drooped drooping droops egg ell emma err fatted fee feed
feel fell fill filled filler fillet filling finn finns flee foo food fool free freed full furries furry fussed fussing
gaff gall galley galls gamma gapped gapping gill goo good goods goon goree grill gripped gripper gripping groove grooved
grooves gull hall hallo hatted hatter hatters hatting heed heel hell hill holly hood hoods hoop hoops hoot hoover
hoovers hopped hopper hoppers hopping hummus igloo inn inner inns keen kidd kill kitted lass latte latter lattes lee
leek less lessen lilly litter litters llama lobby lolled lolli lollis loo loon loop looped looping loops loose looser
looses loosing loot loots lopped lopping losses lotto lugger madder mall mamma manna manned marry mass masses matt matte
matted matter matters mattes matting meek meet meets mess mill milled miller mills miss mitt moll molly moo mood moods
moon moor moored moose moot mopped mopping mulled mussed mutt nee need needless nell ness nett noob noobs noon noose
nooses null odd odds offs oops pall palled palling palls pass passe passed patted patten patter patty pee peek peel peep
peer penn penned penning penny pill pilled pilling pinned pinning planned planner planners planning platter poll polled
pollen polling polls polly pool pools poop poops poor posse posses possess potter press princess proof pull pulled
pulling purr putt putted putting putts quinn rabbi rapped rapper rappers rapping ratted ratter ratting redder reed reeds
reef reefs reel ridding robbed robber robbing roll rolled rood roods roof room rooms rooster roosters root roots rotter
rudder sass scarred scarring scott scrapped scrapper scrapping see seed seek seem seen seep sell sett sheer sheet shoo
shoot shoots sinner sitter sitting slatted slopped slopping snipped snipper snipping snoop snoot sonny soon soot sooth
sparred sparring spatter speed spell spill spitted spitting spoon stalled stalling starr starred starring starry steed
steel steep steeps stellar stiff still stool stoop stooped stoops strapped stripped stripper strippers stripping summer
supper suppers swoop tall tapped tapper tapping tarred tarry tatter tee teed teen teens tell tenner terry three tiff
till tilled tiller tilling titter toll tool toot tooth toots topped topper toppers topping torr totted totter totting
trimmer troop troops tunned tunny upper utter villa wadding wagged wagging wall warring watt watts webb wee weed weeds
week ween weep well wheel whoops will willed winning woo wood wool yell zoo
"""
DOUBLED_LETTERS = frozenset(_WORDS.split())
"""Words whose doubled letter is not read as one; in all others it may be. Some are names, and "lolli" is German for a
sweet. Words such as "too" and "hiss" are missing: no list blocks "to" or "his" alone, only in phrases.
"""
