"""Texts to try, written for this app. The last two are no news at all: a model that is honest is not sure of them."""

EXAMPLES = {
    "an airline": "Shares in the airline fell nine per cent on Tuesday after it cut its profit forecast for the second time this year. "
    "Higher fuel costs and a weaker currency will take about 40 million from earnings, the company said, and the dividend is under review.",
    "a cup tie": "Down to ten men for most of the second half, the visitors held on and went through on penalties. Their keeper saved two "
    "spot kicks in front of his own supporters. The manager called it the best night of his career; the final is on Saturday.",
    "a vote": "Parliament voted late last night to put the budget off until spring, after two parties left the coalition over pensions. "
    "The prime minister said an early election would help nobody. The opposition wants one before the summer.",
    "a phone": "The update closes a hole that let anyone with the handset read messages on a locked phone without knowing its code. "
    "Security researchers found it in March. Users should install the new software at once, the maker said, and restart the device.",
    "a premiere": "The audience stood for nine minutes after the premiere, and the director said the lead actress had learnt the cello "
    "for the part. Critics were cooler: too long, said one, and only the music deserves an award. The film opens next month.",
    "a bookcase": "Slide panel B into the groove of panel A and turn each cam half way round. Fix the back with twelve nails. Two people "
    "should lift the bookcase upright, and it must be screwed to the wall.",
    "nonsense": "Wednesday tasted of buttons. The teapot folded itself into the ladder, seven umbrellas hummed to the cupboard, and a "
    "spoon wrote to its lawyer about the rain.",
}
