/* In place of the theme's own: its icons come as a font already. */
