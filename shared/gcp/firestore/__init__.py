"""Progress in Firestore: completion records, dead letters of no run, the board of dispatch."""
