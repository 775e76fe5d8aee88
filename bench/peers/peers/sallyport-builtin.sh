# Sallyport, whose proxy decides by itself.
. "$HERE/peers/sallyport.sh"
peer_desc="Sallyport; P5 by a built-in handler"
peer_modes="decide"
sallyport_decides=builtin
