"""The ClientApp for Keras studies, and the rehearsal of a study."""
