# Sallyport, whose handler has leased its decision: asked once.
. "$HERE/peers/sallyport.sh"
peer_desc="Sallyport; P5 by a lease of the gRPC handler's"
peer_modes="decide"
sallyport_decides=lease
