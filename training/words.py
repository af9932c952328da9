"""What plans say: room names in several languages, sizes as people write them, sheet texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from training.layout import Layout, Rng

NAMES: Final[dict[str, dict[str, str]]] = {
    "en": {"living": "Living Room|Reception Room|Lounge|Sitting Room", "bedroom": "Bedroom|Master Bedroom|Bed 1|Bed 2", "kitchen": "Kitchen|Kitchen / Breakfast", "dining": "Dining Room|Dining", "bath": "Bathroom|Bath", "ensuite": "Ensuite|En Suite", "wc": "WC|Cloaks", "wcs": "WC|Toilets", "hall": "Hall|Entrance Hall|Hallway", "landing": "Landing", "corridor": "Corridor", "closet": "Cupboard|Wardrobe|C|W.I.C.", "store": "Store|Storage", "laundry": "Utility|Laundry", "study": "Study|Office", "garage": "Garage", "terrace": "Terrace|Patio", "balcony": "Balcony", "porch": "Porch", "stair": "Stair|Stairs", "lift": "Lift|Elev", "office": "Office", "meeting": "Meeting|Conference", "openoffice": "Open Office|Workspace", "copy": "Copy", "classroom": "Classroom", "staff": "Staff Room", "lobby": "Lobby", "gym": "Gym Hall", "shower": "Shower"},
    "de": {"living": "Wohnzimmer|Wohnen", "bedroom": "Schlafzimmer|Schlafen|Kind 1|Gast", "kitchen": "Küche", "dining": "Essen|Esszimmer", "bath": "Bad", "ensuite": "Bad 2|Dusche", "wc": "WC", "wcs": "WC", "hall": "Flur|Diele", "landing": "Flur", "corridor": "Flur|Gang", "closet": "Abst.|Ankleide", "store": "Lager|Abstellraum", "laundry": "HWR", "study": "Arbeiten|Büro", "garage": "Garage", "terrace": "Terrasse", "balcony": "Balkon|Loggia", "porch": "Windfang", "stair": "Treppe|TRH", "lift": "Aufzug", "office": "Büro", "meeting": "Besprechung", "openoffice": "Großraumbüro", "copy": "Kopierer", "classroom": "Klasse", "staff": "Lehrerzimmer", "lobby": "Foyer", "gym": "Turnhalle", "shower": "Dusche"},
    "fr": {"living": "Séjour|Salon", "bedroom": "Chambre|Chambre 1|Ch. 2", "kitchen": "Cuisine", "dining": "Salle à manger", "bath": "Salle de bain|SdB", "ensuite": "SdE", "wc": "WC", "wcs": "WC", "hall": "Entrée|Dgt", "landing": "Palier", "corridor": "Circulation", "closet": "Placard|Dressing", "store": "Réserve|Cellier", "laundry": "Buanderie", "study": "Bureau", "garage": "Garage", "terrace": "Terrasse", "balcony": "Balcon", "porch": "Porche", "stair": "Escalier", "lift": "Asc.", "office": "Bureau", "meeting": "Réunion", "openoffice": "Plateau", "copy": "Repro", "classroom": "Salle de classe", "staff": "Professeurs", "lobby": "Accueil", "gym": "Gymnase", "shower": "Douche"},
    "es": {"living": "Salón|Sala de estar", "bedroom": "Dormitorio|Dorm. 1|Habitación", "kitchen": "Cocina", "dining": "Comedor", "bath": "Baño", "ensuite": "Baño 2", "wc": "Aseo", "wcs": "Aseos", "hall": "Recibidor|Distribuidor", "landing": "Paso", "corridor": "Pasillo", "closet": "Armario|Vestidor", "store": "Trastero", "laundry": "Lavadero", "study": "Estudio", "garage": "Garaje", "terrace": "Terraza", "balcony": "Balcón", "porch": "Porche", "stair": "Escalera", "lift": "Ascensor", "office": "Oficina", "meeting": "Reuniones", "openoffice": "Oficina abierta", "copy": "Copias", "classroom": "Aula", "staff": "Profesores", "lobby": "Vestíbulo", "gym": "Gimnasio", "shower": "Ducha"},
    "fi": {"living": "OH|olohuone", "bedroom": "MH|MH 1|mh2", "kitchen": "K|KK|keittiö", "dining": "RT|R", "bath": "KPH|PH", "ensuite": "PSH", "wc": "WC", "wcs": "WC", "hall": "ET|E", "landing": "AULA", "corridor": "KÄYT.", "closet": "VH|KOM", "store": "VAR", "laundry": "KHH", "study": "TYÖH", "garage": "AT|AUTOTALLI", "terrace": "TERASSI", "balcony": "PARVEKE|P", "porch": "KUISTI|TK", "stair": "PORRAS", "lift": "HISSI", "office": "TOIMISTO", "meeting": "NEUV.", "openoffice": "AVOTOIMISTO", "copy": "KOPIO", "classroom": "LUOKKA", "staff": "OPETTAJAT", "lobby": "AULA", "gym": "SALI", "shower": "SUIHKU|S"},
    "it": {"living": "Soggiorno", "bedroom": "Camera|Letto", "kitchen": "Cucina", "dining": "Pranzo", "bath": "Bagno", "ensuite": "Bagno 2", "wc": "WC", "wcs": "WC", "hall": "Ingresso", "landing": "Disimpegno", "corridor": "Corridoio", "closet": "Rip.|Cabina", "store": "Deposito", "laundry": "Lavanderia", "study": "Studio", "garage": "Garage", "terrace": "Terrazza", "balcony": "Balcone", "porch": "Portico", "stair": "Scala", "lift": "Asc.", "office": "Ufficio", "meeting": "Riunioni", "openoffice": "Open space", "copy": "Copie", "classroom": "Aula", "staff": "Docenti", "lobby": "Atrio", "gym": "Palestra", "shower": "Doccia"},
    "sv": {"living": "Vardagsrum", "bedroom": "Sovrum|Sov 1", "kitchen": "Kök", "dining": "Matplats", "bath": "Bad", "ensuite": "Dusch", "wc": "WC", "wcs": "WC", "hall": "Hall", "landing": "Hall", "corridor": "Korridor", "closet": "Klk|Garderob", "store": "Förråd", "laundry": "Tvätt", "study": "Arbetsrum", "garage": "Garage", "terrace": "Altan", "balcony": "Balkong", "porch": "Farstu", "stair": "Trappa", "lift": "Hiss", "office": "Kontor", "meeting": "Möte", "openoffice": "Kontorslandskap", "copy": "Kopia", "classroom": "Klassrum", "staff": "Personal", "lobby": "Entré", "gym": "Gymnastik", "shower": "Dusch"},
    "pl": {"living": "Salon|Pokój", "bedroom": "Sypialnia", "kitchen": "Kuchnia", "dining": "Jadalnia", "bath": "Lazienka", "ensuite": "Prysznic", "wc": "WC", "wcs": "WC", "hall": "Przedpokój|Hol", "landing": "Hol", "corridor": "Korytarz", "closet": "Szafa|Garderoba", "store": "Schowek", "laundry": "Pralnia", "study": "Gabinet", "garage": "Garaz", "terrace": "Taras", "balcony": "Balkon", "porch": "Ganek", "stair": "Schody", "lift": "Winda", "office": "Biuro", "meeting": "Konferencyjna", "openoffice": "Open space", "copy": "Ksero", "classroom": "Klasa", "staff": "Nauczyciele", "lobby": "Lobby", "gym": "Sala", "shower": "Prysznic"},
}  # fmt: skip
_COUNTED: Final = frozenset({"bedroom", "office", "meeting", "classroom"})
LANGUAGES: Final = (*NAMES, "strokes")

TITLES: Final = (
    "GROUND FLOOR",
    "FIRST FLOOR",
    "SECOND FLOOR",
    "Floor Plan",
    "Third Floor",
    "Lower Ground Floor",
    "Erdgeschoss",
    "1. Obergeschoss",
    "Rez-de-chaussée",
    "Plan R+1",
    "POHJAPIIRUSTUS 1:100",
    "Planta baja",
    "Plan 1:50",
    "LEVEL 2",
    "Type B - 3 rooms",
)
_NOTES: Final = {
    "en": ("For illustration purposes only - not to scale", "Do not scale from this drawing", "All dimensions in mm", "Measurements are approximate", "This plan is a guide only", "Copyright reserved"),
    "de": ("Alle Maße am Bau zu prüfen", "Maßstab 1:100", "Unverbindliche Darstellung"),
    "fi": ("Suuntaa antava", "Mitat tarkistettava paikalla"),
    "fr": ("Plan non contractuel", "Cotes à vérifier sur place"),
    "es": ("Plano orientativo", "Cotas en metros"),
}  # fmt: skip
FIRMS: Final = (
    "Harbour & Lane",
    "Northwick Homes",
    "ATELIER KOSK",
    "Bauplan Sued GmbH",
    "Linden Partners",
    "Casa Nova",
    "STUDIO 41",
    "Mercer Estates",
    "Arkkitehdit Oy",
    "Plan + Form",
)


def room_name(kind: str, language: str, rng: Rng) -> str:
    """A name for such a room; in `strokes`, signs of no script, which only a picture can show."""
    if language == "strokes":
        return "".join(chr(0xE000 + int(rng.integers(400))) for _ in range(int(rng.integers(1, 5))))
    return str(rng.choice(NAMES[language].get(kind, kind.title()).split("|")))


def area_text(area_m2: float, style: int) -> str:
    """The area as written on plans."""
    forms = (
        f"{area_m2:.1f} m²",
        f"{area_m2:.2f}",
        f"{area_m2:.1f} m2",
        f"{area_m2 * 10.764:.0f} sq ft",
        f"A = {area_m2:.2f} m²",
        f"{area_m2:.1f}".replace(".", ",") + " m²",
    )
    return forms[style % len(forms)]


def size_texts(width_m: float, depth_m: float, style: int) -> list[str]:
    """Width by depth as estate agents write them, one string a line."""

    def feet(m: float) -> str:
        inches = round(m / 0.0254)
        return f"{inches // 12}'{inches % 12}"

    metric = f"{width_m:.2f} x {depth_m:.2f}"
    forms = (
        [f"{feet(width_m)} x {feet(depth_m)}", f"({width_m:.2f}m x {depth_m:.2f}m)"],
        [f"{width_m:.2f}m x {depth_m:.2f}m"],
        [metric],
        [f"{feet(width_m)} x {feet(depth_m)}"],
    )
    return forms[style % len(forms)]


def name_rooms(layout: Layout, language: str, rng: Rng, chance: float = 1.0, upper: bool = False) -> Layout:
    """The floor with its rooms named in one language, each kind by one word; like rooms are told apart by a figure."""
    words = {room.kind: room_name(room.kind, language, rng) for room in layout.rooms}
    total = Counter(words[room.kind] for room in layout.rooms)
    count: Counter[str] = Counter()
    figures = rng.random() < 0.6
    rooms = []
    for room in layout.rooms:
        word = words[room.kind] if language != "strokes" else room_name(room.kind, language, rng)
        several = total[word] > 1
        if several:
            word = word.rstrip(" 0123456789")
        count[word] += 1
        if figures and several and room.kind in _COUNTED:
            word = f"{word} {count[word]}"
        rooms.append(replace(room, name=(word.upper() if upper else word) if rng.random() < chance else ""))
    return replace(layout, rooms=tuple(rooms))


def number_rooms(layout: Layout, floor: int, rng: Rng) -> Layout:
    """The floor with its rooms numbered in reading order, as campuses number them."""
    order = sorted(layout.rooms, key=lambda r: (round(r.polygon.centroid.y / 5), r.polygon.centroid.x))
    letter = str(rng.choice(["", "", "A", "B-", "R"]))
    width = int(rng.choice([2, 2, 3]))
    numbers = {room.cell: f"{letter}{floor}{k + 1:0{width}d}" for k, room in enumerate(order)}
    return replace(layout, rooms=tuple(replace(room, number=numbers[room.cell]) for room in layout.rooms))


def note(language: str, rng: Rng) -> str:
    """A remark at the foot of a sheet."""
    return str(rng.choice(_NOTES.get(language, _NOTES["en"])))
