from pathlib import Path

from gi.repository import Gimp, Gio

scumble = Gimp.get_pdb().lookup_procedure("plug-in-scumble")
for photo in sorted(Path("photos").glob("*.png")):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(photo)))
    asked = scumble.create_config()
    asked.set_property("image", image)
    asked.set_core_object_array("drawables", image.get_layers())
    asked.set_property("styles", ["library:night"])
    asked.set_property("quality", "draft")
    values = scumble.run(asked)
    if values.index(0) == Gimp.PDBStatusType.SUCCESS:
        painted = Gio.File.new_for_path(str(photo.with_suffix(".xcf")))
        Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, painted, None)
        print(photo, "has the layer", values.index(1).get_name())
    else:
        print(photo, "has none:", values.index(1))
    image.delete()
