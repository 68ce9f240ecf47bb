// The form's fields are signed already: it is only sent.
document.getElementById("go").submit();
